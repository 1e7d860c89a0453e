-- Let a job wait, in order, until its quotas let it through; nothing is spent.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] payloads    {onqueue:redis}:payloads
-- KEYS[6] granted     {onqueue:redis}:granted
-- KEYS[7] parked      {onqueue:redis}:parked
-- KEYS[8] lanes       {onqueue:redis}:lanes
-- KEYS[9] lane        {onqueue:redis}:lane:default:<quotas>
-- KEYS[10] timers     {onqueue:redis}:timers:default
-- KEYS[11] wake       {onqueue:redis}:wake:default
-- KEYS[12] lodging    {onqueue:redis}:parked-in:default
-- ARGV[1] holder      token
-- ARGV[2] id          of the job
-- ARGV[3] offset      ms added to the server's clock (tests)
-- ARGV[4] place       the full keys ready, wake, parked-in and lane, a line each
-- ARGV[5] sign        of the lane: the full keys timers and wake, then its quotas, a line each
-- Returns 1 parked, 0 the holder does not hold the job, -1 the lease is lost
-- Flags allow-oom
-- Includes _alive _clock _wake _settle _alarm _slots _quota _free_slot _moving _gate
if not alive(KEYS[1], ARGV[1]) then return -1 end
local id, lane, now, quotas = ARGV[2], KEYS[9], now_ms(ARGV[3]), quotas_of(ARGV[5])
if not settle(KEYS[2], KEYS[3], KEYS[4], id) then return 0 end
for _, quota in ipairs(quotas) do
  -- A slot that it was given, but could not use in time, is somebody else's.
  if quota.kind == 's' then drop_slot(quota.count, id, ARGV[1], KEYS[8], now) end
end
local was_first = redis.call('ZREM', KEYS[6], id .. ' ' .. lane) == 1
redis.call(was_first and 'LPUSH' or 'RPUSH', lane, id)
redis.call('HSET', KEYS[7], id, ARGV[4])
redis.call('SADD', KEYS[12], id)
redis.call('HSET', KEYS[8], lane, ARGV[5])
for _, quota in ipairs(quotas) do
  -- Slots, the end of a pause and places of a rate that are given back call in who waits.
  if quota.kind == 's' or quota.kind == 'p' or quota.kind == 'r' then redis.call('SADD', quota.waiters, lane) end
end
local desk = {holders = KEYS[1], payloads = KEYS[5]}
alarm(lane, KEYS[10], KEYS[11], shut_until(quotas, redis.call('LINDEX', lane, 0), now, desk) or now)
return 1
