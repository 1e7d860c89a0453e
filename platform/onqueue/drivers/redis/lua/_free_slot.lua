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
