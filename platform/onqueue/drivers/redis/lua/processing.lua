-- Give back the claim of a job that is unique only until it runs.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] ties        {onqueue:redis}:ties
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] desk        names and keys of what ties may change
-- Returns 1 done, 0 the holder does not hold the job, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _settlement
if not alive(KEYS[1], ARGV[1]) then return -1 end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then return 0 end
local text = redis.call('HGET', KEYS[3], ARGV[2])
local claim = text and cjson.decode(text).u
if claim and claim[4] == 1 then
  local desk, todo = desk_of(ARGV[3]), {}
  free(desk, claim[1], ARGV[2], todo)
  carry_out(desk, todo)
end
return 1
