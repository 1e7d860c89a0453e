-- Let a job wait, in order, for a lock or until somebody replays its lane; nothing is spent.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] payloads    {onqueue:redis}:payloads
-- KEYS[6] locks       {onqueue:redis}:locks
-- KEYS[7] lane        {onqueue:redis}:parked:<lock>
-- KEYS[8] parked      {onqueue:redis}:parked
-- KEYS[9] parking     {onqueue:redis}:parking
-- KEYS[10] lodging    {onqueue:redis}:parked-in:default
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] offset      ms added to the server's clock (tests)
-- ARGV[4] place       the full keys ready, wake, parked-in and lane, a line each
-- ARGV[5] locked      1 when the lane is a lock's, 0 when only a replay ends it
-- Returns 1 parked, 2 the lock is free, 0 the holder does not hold the job, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _clock _wake _settle _ready _unpark _locks
if not alive(KEYS[1], ARGV[1]) then return -1 end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then return 0 end
if ARGV[5] == '1' then
  local owner = redis.call('HGET', KEYS[6], KEYS[7])
  if not owner or not in_force(owner, now_ms(ARGV[3]), KEYS[1], KEYS[5]) then return 2 end
  if string.match(owner, '^~ (%S+)') == ARGV[2] then return 2 end
end
settle(KEYS[2], KEYS[3], KEYS[4], ARGV[2])
redis.call('RPUSH', KEYS[7], ARGV[2])
redis.call('HSET', KEYS[8], ARGV[2], ARGV[4])
redis.call('SADD', KEYS[10], ARGV[2])
redis.call('SADD', KEYS[9], KEYS[7])
return 1
