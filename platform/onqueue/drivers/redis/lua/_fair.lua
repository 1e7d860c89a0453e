-- Includes _rounds _whole_rounds
-- What lanes give. A holder that takes many jobs of a few lanes gives them back when another lane appears;
-- of many lanes a trip takes one round.
local function fair_jobs(ready, ring, shares, most, fair)
  local waiting, lanes = redis.call('LLEN', ready), fair and redis.call('LLEN', ring)
  if not fair or waiting > 0 then
    local ids = in_turns(ring, shares, math.max(1, math.min(most, 12) - waiting))
    -- Behind a long list of jobs without a lane one job a trip goes first.
    if ids[1] then redis.call(waiting < 12 and 'RPUSH' or 'LPUSH', ready, unpack(ids)) end
    return false
  end
  if lanes > 12 then return in_turns(ring, shares, math.min(most, lanes)) end
  local ids = whole_rounds(ring, shares, math.min(most, fair)) or in_turns(ring, shares, math.min(most, 12))
  return ids[1] and ids
end
