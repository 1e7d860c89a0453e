-- Let a job of a holder through all its quotas, using each of them, or through none.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] payloads    {onqueue:redis}:payloads
-- KEYS[3] granted     {onqueue:redis}:granted
-- KEYS[4] held-slots  {onqueue:redis}:held-slots:<holder>
-- KEYS[5] lane        {onqueue:redis}:lane:default:<quotas>, where jobs with the same quotas wait
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] offset      ms added to the server's clock (tests)
-- ARGV[4] quotas      a line each
-- ARGV[5] ahead       how many more jobs with the same quotas the holder may have
-- Returns {1, how many more are let through, until when (server's ms), that less now}, {0, ms until that may be different or -1},
--   {-1, 0} the lease is lost
-- Flags allow-oom
-- Includes _alive _clock _wake _alarm _slots _quota _free_slot _moving _gate _ahead
if not alive(KEYS[1], ARGV[1]) then return {-1, 0} end
local now, id, quotas = now_ms(ARGV[3]), ARGV[2], quotas_of(ARGV[4])
local ticket = id .. ' ' .. KEYS[5]
local grant = tonumber(redis.call('ZSCORE', KEYS[3], ticket) or nil)
local is_counted = grant and grant > now
for _, quota in ipairs(quotas) do
  if quota.kind == 's' and redis.call('HEXISTS', quota.count, id) == 0 then is_counted = false end
end
if not is_counted then
  local due = shut_until(quotas, id, now, {holders = KEYS[1], payloads = KEYS[2]})
  -- Who comes anew queues up behind those that wait already.
  if not due and not grant and redis.call('EXISTS', KEYS[5]) == 1 then due = now end
  if due then return {0, due == math.huge and -1 or due - now} end
end
redis.call('ZREM', KEYS[3], ticket)
take_slots(quotas, id, ARGV[1], KEYS[4])
if is_counted then return {1, 0, 0, 0} end
use_rates(quotas, now)
local more, lasts = use_ahead(quotas, now, tonumber(ARGV[5]))
return {1, more, string.format('%.0f', lasts), math.max(0, lasts - now)}
