local function next_link(desk, chain, todo)
  local head, tail, moving = unpack(redis.call('HMGET', chain, 'head', 'tail', 'moving'))
  local plan = redis.call('HGET', chain, 'plan')
  local link = head ~= tail and redis.call('HGET', chain, head)
  if not link then
    redis.call('HSET', chain, 'state', 'finished', 'current', '')
    redis.call('EXPIRE', chain, 3600)
    if plan then redis.call('DEL', plan) end
    return
  end
  local _, id, connection = head_of(link)
  if connection ~= '' then
    redis.call('HSET', chain, 'state', 'moving', 'current', id)
    redis.call('RENAME', chain, moving)
    if plan and redis.call('LREM', plan, 0, chain) then redis.call('RPUSH', plan, moving) end
    redis.call('HSET', desk.transfers, moving, 'chain')
    return
  end
  redis.call('HDEL', chain, head)
  redis.call('HINCRBY', chain, 'head', 1)
  redis.call('HSET', chain, 'current', id)
  todo[#todo + 1] = link
end

local function cut(desk, chain, sign, todo)
  local head, tail, batch, plan = unpack(redis.call('HMGET', chain, 'head', 'tail', 'batch', 'plan'))
  if plan and sign > 0 then redis.call('ZADD', desk.plans, now_ms(desk.offset) + 604800000, plan) end
  if plan and sign < 0 then redis.call('ZREM', desk.plans, plan) end
  local rest = sign * (tail - head)
  if not batch or rest == 0 or redis.call('EXISTS', batch) == 0 then return end
  redis.call('HINCRBY', batch, 'broken', rest)
  redis.call('HINCRBY', batch, 'pending', -rest)
  todo[#todo + 1] = {batch}
end
