-- Add staged members to a batch that has not ended.
-- KEYS[1] plans       {onqueue:redis}:plans
-- KEYS[2] plan        {onqueue:redis}:plan:<token>
-- KEYS[3] batch       {onqueue:redis}:batch:<id>
-- ARGV[1] desk        names and keys of what ties may change
-- ARGV[2] count       how many jobs they are
-- ARGV[3] parcel      what loads them
-- Returns 1 added, 0 the batch has ended or is unknown, -2 the plan is gone
-- Flags none
-- Includes _settlement
if redis.call('ZREM', KEYS[1], KEYS[2]) == 0 then return -2 end
if redis.call('EXISTS', KEYS[3]) == 0 or redis.call('HEXISTS', KEYS[3], 'finished_at') == 1 then
  redis.call('ZADD', KEYS[1], 0, KEYS[2])
  return 0
end
redis.call('DEL', KEYS[2])
redis.call('HINCRBY', KEYS[3], 'total', ARGV[2])
redis.call('HINCRBY', KEYS[3], 'pending', ARGV[2])
redis.call('HINCRBY', KEYS[3], 'loads', 1)
carry_out(desk_of(ARGV[1]), {ARGV[3]})
return 1
