-- Includes _lanes
-- Deficit round robin: the first lane gives as many jobs as its weight, then goes to the end of the ring.
local function fill_up(ready, ring, shares, most)
  local waiting = redis.call('LLEN', ready)
  local room = math.max(1, math.min(most, 12) - waiting)
  -- Behind a long list of jobs without a lane one job a trip goes first.
  local push = waiting < 12 and 'RPUSH' or 'LPUSH'
  while room > 0 do
    local lane = redis.call('LINDEX', ring, 0)
    if not lane then break end
    local left, weight = unpack(redis.call('HMGET', shares, 'left', lane))
    left = tonumber(left or weight or 1)
    local ids = redis.call('LPOP', lane, math.min(left, room)) or {}
    if #ids > 0 then redis.call(push, ready, unpack(ids)) end
    room, left = room - #ids, left - #ids
    if redis.call('EXISTS', lane) == 0 then
      leave_ring(ring, shares, lane)
    elseif left > 0 then
      redis.call('HSET', shares, 'left', left)
    else
      redis.call('LMOVE', ring, ring, 'LEFT', 'RIGHT')
      redis.call('HDEL', shares, 'left')
    end
  end
end
