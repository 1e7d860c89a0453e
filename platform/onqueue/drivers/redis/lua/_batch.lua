local function enter(desk, batch, id, todo)
  local ledger = redis.call('HGET', batch, 'members')
  if not ledger or redis.call('HSETNX', ledger, id, 'p') == 1 then return end
  if redis.call('HGET', ledger, id) ~= 'f' then return end
  redis.call('HSET', ledger, id, 'r')
  redis.call('HINCRBY', batch, 'failed', -1)
  redis.call('HINCRBY', batch, 'pending', 1)
  local tie, own_id, over = unpack(redis.call('HMGET', batch, 'tie', 'id', 'finished_at'))
  redis.call('HDEL', batch, 'finished_at')
  if over and tie ~= '' then todo[#todo + 1] = {cjson.decode(tie), own_id, 'entered'} end
end

local function tally(desk, batch, id, outcome, todo)
  local ledger, allow, cancelled = unpack(redis.call('HMGET', batch, 'members', 'allow', 'cancelled_at'))
  local was = ledger and redis.call('HGET', ledger, id)
  if was ~= 'p' and was ~= 'r' then return end
  if outcome == 'expired' then outcome = 'skipped' end
  local letters = {succeeded = 's', skipped = 'k', cancelled = 'c', failed = 'f'}
  redis.call('HSET', ledger, id, letters[outcome])
  redis.call('HINCRBY', batch, 'pending', -1)
  redis.call('HINCRBY', batch, outcome, 1)
  if outcome == 'failed' then
    call_back(batch, 'catch', id, todo)
    if allow == '0' and not cancelled then
      redis.call('HSET', batch, 'cancelled_at', string.format('%.0f', now_ms(desk.offset)), 'cause', 'failure')
    end
  end
  if outcome == 'succeeded' or (outcome == 'failed' and allow == '1') then
    call_back(batch, 'progress', id, todo, redis.call('HINCRBY', batch, 'told', 1))
  end
  todo[#todo + 1] = {batch}
end
