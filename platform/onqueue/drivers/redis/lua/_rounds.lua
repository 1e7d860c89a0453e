-- Includes _rotate
-- Deficit round robin: the first lane gives as many jobs as its weight, then goes to the end of the ring.
local function fill_up(ready, ring, shares, most)
  local waiting = redis.call('LLEN', ready)
  local room = math.max(1, math.min(most, 12) - waiting)
  -- Behind a long list of jobs without a lane one job a trip goes first.
  local push, taken = waiting < 12 and 'RPUSH' or 'LPUSH', {}
  while room > 0 do
    -- One more than can be needed: a lane that is alone need not ask how much it may give.
    local lanes = redis.call('LRANGE', ring, 0, room)
    if not lanes[1] then break end
    local weights = redis.call('HMGET', shares, 'left', unpack(lanes))
    local seen, left, passed, dropped = 0, 0, {}, {}
    while seen < #lanes and room > 0 do
      local lane = lanes[seen + 1]
      left = tonumber(#lanes == 1 and room or seen == 0 and weights[1] or weights[seen + 2] or 1)
      local ids = redis.call('LPOP', lane, math.min(left, room)) or {}
      for _, id in ipairs(ids) do taken[#taken + 1] = id end
      room, left = room - #ids, left - #ids
      if redis.call('EXISTS', lane) == 0 then
        if weights[seen + 2] then dropped[#dropped + 1] = lane end
        left = 0
      elseif left == 0 then
        passed[#passed + 1] = lane
      else
        break
      end
      seen = seen + 1
    end
    rotate(ring, shares, seen, left, lanes, passed, dropped, weights[1])
  end
  if #taken > 0 then redis.call(push, ready, unpack(taken)) end
end
