-- Remove a job that has ended: it succeeded, or it failed and stands in the failed store.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] payloads    {onqueue:redis}:payloads
-- KEYS[6] state       {onqueue:redis}:state
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- Returns 1 done, 0 the holder does not hold the job, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _settle
if not alive(KEYS[1], ARGV[1]) then return -1 end
if not settle(KEYS[2], KEYS[3], KEYS[4], ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[5], ARGV[2])
redis.call('HDEL', KEYS[6], ARGV[2])
return 1
