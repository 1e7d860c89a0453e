-- Count one fault, or one start that need not wait; or forget all of them.
-- KEYS[1] count       {onqueue:redis}:quota:f:<key>
-- ARGV[1] offset      ms added to the server's clock (tests)
-- ARGV[2] span        ms that a window lasts, 0 forgets
-- ARGV[3] most        of a moving window; 0: it is none
-- Returns 1
-- Flags allow-oom
-- Includes _clock _quota _moving
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  local most = tonumber(ARGV[3])
  count_of({kind = most > 0 and 'm' or 'f', count = KEYS[1], span = tonumber(ARGV[2]), most = most}, now_ms(ARGV[1]))
end
return 1
