-- Write down a note about a job that runs: how far it is, for itself or for a page.
-- KEYS[1] holders   {onqueue:redis}:holders
-- KEYS[2] held      {onqueue:redis}:held:<holder>
-- KEYS[3] note      {onqueue:redis}:checkpoint:<id> or {onqueue:redis}:progress:<id>
-- ARGV[1] holder    token
-- ARGV[2] id        of the job
-- ARGV[3] text      of the note
-- ARGV[4] seconds   for which the note is kept
-- Returns 1 done, 0 the holder does not hold the job, -1 the lease is lost
-- Flags none
-- Includes _alive
if not alive(KEYS[1], ARGV[1]) then return -1 end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then return 0 end
redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[4])
return 1
