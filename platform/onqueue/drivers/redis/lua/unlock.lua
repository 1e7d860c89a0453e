-- Give a lock back and promise it to the first job parked for it, which goes to the front of its queue.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] locks       {onqueue:redis}:locks
-- KEYS[3] held-locks  {onqueue:redis}:held-locks:<holder>
-- KEYS[4] lane        {onqueue:redis}:parked:<lock>
-- KEYS[5] parked      {onqueue:redis}:parked
-- KEYS[6] payloads    {onqueue:redis}:payloads
-- KEYS[7] parking     {onqueue:redis}:parking
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] offset      ms added to the server's clock (tests)
-- ARGV[4] promise     ms for which the lock is kept for the woken job
-- Returns 1 given back, 0 it is not this job's lock, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _clock _wake _ready _unpark _locks
if not alive(KEYS[1], ARGV[1]) then return -1 end
local holder, job = string.match(redis.call('HGET', KEYS[2], KEYS[4]) or '', '^(%S+) (%S+)')
if holder ~= ARGV[1] or job ~= ARGV[2] then return 0 end
redis.call('SREM', KEYS[3], KEYS[4])
hand_over(KEYS[4], KEYS[2], KEYS[5], KEYS[6], KEYS[7], now_ms(ARGV[3]) + ARGV[4])
return 1
