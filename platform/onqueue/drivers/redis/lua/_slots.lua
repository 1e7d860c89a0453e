local function take_slots(quotas, id, holder, held_slots)
  local taken = false
  for _, quota in ipairs(quotas) do
    if quota.kind == 's' then
      redis.call('HSET', quota.count, id, holder .. ' ' .. quota.waiters)
      redis.call('SADD', held_slots, quota.count .. ' ' .. id)
      taken = true
    end
  end
  return taken
end

local function drop_slot(count, id, holder, lanes, now)
  local owner, waiters = string.match(redis.call('HGET', count, id) or '', '^(%S+) (%S+)$')
  if owner ~= holder then return false end
  redis.call('HDEL', count, id)
  call_in(waiters, lanes, now)
  return true
end
