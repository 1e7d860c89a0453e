-- Count one fault, or forget all of them.
-- KEYS[1] count       {onqueue:redis}:quota:f:<key>
-- ARGV[1] offset      ms added to the server's clock (tests)
-- ARGV[2] span        ms that a window lasts, 0 forgets
-- Returns 1
-- Flags allow-oom
-- Includes _clock _quota
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  hit({count = KEYS[1], span = tonumber(ARGV[2])}, now_ms(ARGV[1]), 1)
end
return 1
