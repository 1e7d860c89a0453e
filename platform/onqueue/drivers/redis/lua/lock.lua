-- Take a lock for one job of a holder: free, lapsed or promised to this very job.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] locks       {onqueue:redis}:locks
-- KEYS[3] held-locks  {onqueue:redis}:held-locks:<holder>
-- KEYS[4] lane        {onqueue:redis}:parked:<lock>
-- KEYS[5] payloads    {onqueue:redis}:payloads
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] offset      ms added to the server's clock (tests)
-- ARGV[4] expire      ms after which the lock lapses, 0 never
-- Returns 1 taken, 0 another job has it, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _clock _wake _ready _unpark _locks
if not alive(KEYS[1], ARGV[1]) then return -1 end
local now, expiry = now_ms(ARGV[3]), 0
local owner = redis.call('HGET', KEYS[2], KEYS[4])
if owner and in_force(owner, now, KEYS[1], KEYS[5]) then
  local holder, job = string.match(owner, '^(%S+) (%S+)')
  if job ~= ARGV[2] or (holder ~= '~' and holder ~= ARGV[1]) then return 0 end
end
if ARGV[4] ~= '0' then expiry = now + ARGV[4] end
redis.call('HDEL', KEYS[2], KEYS[4])
redis.call('HSET', KEYS[2], KEYS[4], string.format('%s %s %.0f', ARGV[1], ARGV[2], expiry))
redis.call('SADD', KEYS[3], KEYS[4])
return 1
