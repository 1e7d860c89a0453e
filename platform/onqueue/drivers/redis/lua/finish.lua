-- Remove a job that has ended: it succeeded, or it failed and stands in the failed store.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] payloads    {onqueue:redis}:payloads
-- KEYS[6] state       {onqueue:redis}:state
-- KEYS[7] ties        {onqueue:redis}:ties
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] outcome     succeeded, skipped, expired, cancelled or failed
-- ARGV[4] desk        names and keys of what its tie may change
-- Returns 1 done, 3 done and there are errands or transfers, 0 the holder does not hold the job, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _settle _desk _ended _tie
if not alive(KEYS[1], ARGV[1]) then return -1 end
if not settle(KEYS[2], KEYS[3], KEYS[4], ARGV[2]) then return 0 end
local desk = desk_if(KEYS[7], ARGV[4])
ended({ARGV[2]}, ARGV[3], KEYS[5], KEYS[6], desk)
return left_over(desk) ~= '' and 3 or 1
