-- Free claims whose owner is gone, and delete keys of plans that nobody started or that broke long ago.
-- KEYS[1] claims      {onqueue:redis}:claims
-- KEYS[2] successors  {onqueue:redis}:successors
-- KEYS[3] plans       {onqueue:redis}:plans
-- ARGV[1] desk        names and keys of what ties may change
-- Returns 1 when there may be more plans to delete, else 0
-- Flags allow-oom
-- Includes _settlement
local desk, todo = desk_of(ARGV[1]), {}
for _, key in ipairs(redis.call('HRANDFIELD', KEYS[1], 100)) do
  local owner = claim_of(desk, key).owner
  if redis.call('HEXISTS', desk.payloads, owner) == 0 then free(desk, key, owner, todo) end
end
for _, key in ipairs(redis.call('HRANDFIELD', KEYS[2], 100)) do
  if claim_of(desk, key).owner == '' then free(desk, key, '', todo) end
end
carry_out(desk, todo)
local plan = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_ms(desk.offset), 'LIMIT', 0, 1)[1]
if not plan then return 0 end
local names = redis.call('LPOP', plan, 100)
if names then redis.call('UNLINK', unpack(names)) else redis.call('ZREM', KEYS[3], plan) end
return 1
