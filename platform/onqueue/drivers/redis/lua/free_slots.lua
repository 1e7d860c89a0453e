-- Give a job's slots back and call in who waits for them.
-- KEYS[1] held-slots  {onqueue:redis}:held-slots:<holder>
-- KEYS[2] lanes       {onqueue:redis}:lanes
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] offset      ms added to the server's clock (tests)
-- ARGV[4] quotas      a line each
-- Returns how many slots it had
-- Flags allow-oom
-- Includes _clock _wake _alarm _slots _quota
local now, freed = now_ms(ARGV[3]), 0
for _, quota in ipairs(quotas_of(ARGV[4])) do
  redis.call('SREM', KEYS[1], quota.count .. ' ' .. ARGV[2])
  if drop_slot(quota.count, ARGV[2], ARGV[1], KEYS[2], now) then freed = freed + 1 end
end
return freed
