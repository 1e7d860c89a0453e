-- Who runs a long trip of other lanes hears of it.
local function queue_up(ring, lane)
  redis.call('RPUSH', ring, lane)
  redis.pcall('PUBLISH', ring, lane)
end

local function enter_lane(id, fair, weight)
  local lane, ring, shares = unpack(fair)
  if redis.call('RPUSH', lane, id) == 1 then queue_up(ring, lane) end
  if weight then redis.call('HSET', shares, lane, weight) end
end

local function leave_ring(ring, shares, lane)
  if redis.call('LINDEX', ring, 0) == lane then redis.call('HDEL', shares, 'left') end
  redis.call('LREM', ring, 1, lane)
  redis.call('HDEL', shares, lane)
end
