local function has_free_slot(quota, desk)
  if redis.call('HLEN', quota.count) < quota.most then return true end
  local taken = redis.call('HGETALL', quota.count)
  for at = 1, #taken, 2 do
    local holder = string.match(taken[at + 1], '^%S+')
    if not alive(desk.holders, holder) or redis.call('HEXISTS', desk.payloads, taken[at]) == 0 then
      redis.call('HDEL', quota.count, taken[at])
    end
  end
  return redis.call('HLEN', quota.count) < quota.most
end

local function take_slots(quotas, id, holder, held_slots)
  for _, quota in ipairs(quotas) do
    if quota.kind == 's' then
      redis.call('HSET', quota.count, id, holder .. ' ' .. quota.waiters)
      redis.call('SADD', held_slots, quota.count .. ' ' .. id)
    end
  end
end

local function drop_slot(count, id, holder, lanes, now)
  local owner, waiters = string.match(redis.call('HGET', count, id) or '', '^(%S+) (%S+)$')
  if owner ~= holder then return false end
  redis.call('HDEL', count, id)
  call_in(waiters, lanes, now)
  return true
end
