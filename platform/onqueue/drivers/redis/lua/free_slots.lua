-- Give a job's slots back and call in who waits for them.
-- KEYS[1] held-slots  {onqueue:redis}:held-slots:<holder>
-- KEYS[2] lanes       {onqueue:redis}:lanes
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] offset      ms added to the server's clock (tests)
-- ARGV[4] quotas      a line each, or "" for all slots of the job
-- Returns how many slots it had
-- Flags allow-oom
-- Includes _clock _wake _alarm _slots _quota
local now, freed, quotas = now_ms(ARGV[3]), 0, quotas_of(ARGV[4])
if ARGV[4] == '' then
  for _, entry in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local count, id = string.match(entry, '^(%S+) (%S+)$')
    if id == ARGV[2] then quotas[#quotas + 1] = {count = count} end
  end
end
for _, quota in ipairs(quotas) do
  redis.call('SREM', KEYS[1], quota.count .. ' ' .. ARGV[2])
  if drop_slot(quota.count, ARGV[2], ARGV[1], KEYS[2], now) then freed = freed + 1 end
end
return freed
