-- From here on a push may hand the holder a job of one of its queues; whoever waits offers itself anew before this is over.
local function offer(idle, holder, address, first, count)
  for at = first, first + count - 1 do
    redis.call('SADD', KEYS[at], address)
    redis.call('EXPIRE', KEYS[at], 60)
  end
  redis.call('HSET', idle, holder, '1')
end
