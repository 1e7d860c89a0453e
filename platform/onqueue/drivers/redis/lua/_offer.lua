-- For so many ms, at most a minute, a push may hand the holder a job of one of its queues, whose offers are KEYS[first] and the following.
local function offer(idle, holder, address, first, count, now, lasts)
  for at = first, first + count - 1 do
    redis.call('ZREMRANGEBYSCORE', KEYS[at], '-inf', now)
    redis.call('ZADD', KEYS[at], now + lasts, address)
    redis.call('PEXPIRE', KEYS[at], 60000)
  end
  redis.call('HSET', idle, holder, '1')
end
