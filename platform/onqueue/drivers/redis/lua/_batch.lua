local function enter(desk, batch, id, todo)
  local ledger = redis.call('HGET', batch, 'members')
  if not ledger or redis.call('HSETNX', ledger, id, 'p') == 1 then return end
  if redis.call('HGET', ledger, id) ~= 'f' then return end
  redis.call('HSET', ledger, id, 'r')
  redis.call('HINCRBY', batch, 'failed', -1)
  redis.call('HINCRBY', batch, 'pending', 1)
  local tie, own_id, over = unpack(redis.call('HMGET', batch, 'tie', 'id', 'finished_at'))
  redis.call('HDEL', batch, 'finished_at')
  if over and tie ~= '' then todo[#todo + 1] = {cjson.decode(tie), {own_id}, 'entered'} end
end
