-- Give back what a holder used of rates for jobs that did not come, and call in who waits for them.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] lanes       {onqueue:redis}:lanes
-- ARGV[1] holder      token
-- ARGV[2] offset      ms added to the clock of the server (tests)
-- ARGV[3..] rest      how many, until when they were good (ms), and the quotas, a line each; for each list of quotas
-- Returns how many lists were given back
-- Flags allow-oom
-- Includes _alive _clock _wake _alarm _quota
if not alive(KEYS[1], ARGV[1]) then return 0 end
local now, given = now_ms(ARGV[2]), 0
for at = 3, #ARGV, 3 do
  if tonumber(ARGV[at + 1]) > now then
    for _, quota in ipairs(quotas_of(ARGV[at + 2])) do
      hit(quota, now, -ARGV[at])
      call_in(quota.waiters, KEYS[2], now)
    end
    given = given + 1
  end
end
return given
