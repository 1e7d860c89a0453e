-- Use each of many rates on its own; those that are used up stay as they are.
-- KEYS[1] holders     {onqueue:redis}:holders
-- ARGV[1] holder      token
-- ARGV[2] offset      ms added to the server's clock (tests)
-- ARGV[3] quotas      rates and moving ones, a line each
-- Returns for each: -1 used, else ms until it opens; a single -2: the lease is lost
-- Flags allow-oom
-- Includes _alive _clock _quota _moving
if not alive(KEYS[1], ARGV[1]) then return {-2} end
local now, waits = now_ms(ARGV[2]), {}
for at, quota in ipairs(quotas_of(ARGV[3])) do
  local ends, hits = window_of(quota, now)
  waits[at] = hits >= quota.most and ends - now or -1
  if waits[at] < 0 then count_of(quota, now) end
end
return waits
