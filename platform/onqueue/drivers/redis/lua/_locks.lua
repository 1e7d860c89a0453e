local function in_force(owner, now, holders, payloads)
  local holder, job, expiry = string.match(owner, '^(%S+) (%S+) (%d+)$')
  if expiry ~= '0' and tonumber(expiry) <= now then
    return false
  end
  if holder == '~' then
    return redis.call('HEXISTS', payloads, job) == 1
  end
  return alive(holders, holder)
end

local function hand_over(lane, locks, parked, payloads, parking, until_ms)
  redis.call('HDEL', locks, lane)
  local id = unpark(lane, parked, payloads, parking, true)
  if id then
    redis.call('HSET', locks, lane, string.format('~ %s %.0f', id, until_ms))
  end
end
