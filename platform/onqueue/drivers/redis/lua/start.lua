-- Start a staged chain or batch: all of it from here on, or nothing.
-- KEYS[1] plans       {onqueue:redis}:plans
-- KEYS[2] plan        {onqueue:redis}:plan:<token>
-- KEYS[3..] seen      {onqueue:redis}:seen:<token>, only when it may start once
-- ARGV[1] desk        names and keys of what ties may change
-- ARGV[2] once        ms for which its token is refused again
-- ARGV[3] parcel      the chain or the batch
-- Returns 1 started, 0 it was started before, -2 the plan is gone
-- Flags none
-- Includes _settlement
if redis.call('ZREM', KEYS[1], KEYS[2]) == 0 then return -2 end
local desk, todo = desk_of(ARGV[1]), {}
local _, _, _, stage = unpacked(ARGV[3])
local is_kept = redis.call('HGET', stage, 'plan') == KEYS[2]
local fresh = #KEYS < 3 or redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2])
if not fresh or not post(desk, ARGV[3], todo) then
  redis.call('ZADD', KEYS[1], 0, KEYS[2])
  return 0
end
if not is_kept then redis.call('DEL', KEYS[2]) end
carry_out(desk, todo)
return 1
