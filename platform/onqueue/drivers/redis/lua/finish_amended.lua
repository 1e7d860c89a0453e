-- Remove a job that has ended well, and put what it wished before and behind the links of its chain that wait.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] payloads    {onqueue:redis}:payloads
-- KEYS[6] state       {onqueue:redis}:state
-- KEYS[7] ties        {onqueue:redis}:ties
-- KEYS[8] plans       {onqueue:redis}:plans
-- KEYS[9] plan        {onqueue:redis}:plan:<token>
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] outcome     succeeded, skipped or expired
-- ARGV[4] desk        names and keys of what its tie may change
-- ARGV[5] before      how many of the links come before those that wait
-- ARGV[6..] links     parcels
-- Returns 1 done, 3 done and there are errands, 0 the holder does not hold the job, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _settle _ended _amend _tie
if not alive(KEYS[1], ARGV[1]) then return -1 end
if not settle(KEYS[2], KEYS[3], KEYS[4], ARGV[2]) then return 0 end
local desk, text = desk_of(ARGV[4]), redis.call('HGET', KEYS[7], ARGV[2])
local chain = text and cjson.decode(text).c
if chain and redis.call('HGET', chain, 'current') == ARGV[2] then
  amend(chain, tonumber(ARGV[5]), 6)
  if redis.call('ZREM', KEYS[8], KEYS[9]) == 1 then adopt(chain, KEYS[9]) end
end
ended({ARGV[2]}, ARGV[3], KEYS[5], KEYS[6], desk)
return left_over(desk) ~= '' and 3 or 1
