-- Includes _callback
local function move(ledger, ids, outcome)
  local letters = {succeeded = 's', skipped = 'k', cancelled = 'c', failed = 'f'}
  local moved, fields = {}, {}
  for at, was in ipairs(redis.call('HMGET', ledger, unpack(ids))) do
    local id = ids[at]
    if (was == 'p' or was == 'r') and not moved[id] then
      moved[id] = true
      fields[#fields + 1] = id
      fields[#fields + 1] = letters[outcome]
    end
  end
  if #fields > 0 then redis.call('HSET', ledger, unpack(fields)) end
  return fields, #fields / 2
end

local function tally(desk, batch, ids, outcome, todo)
  local ledger, allow, cancelled, told = unpack(redis.call('HMGET', batch, 'members', 'allow', 'cancelled_at', 'progress1'))
  if not ledger then return end
  if outcome == 'expired' then outcome = 'skipped' end
  local fields, count = move(ledger, ids, outcome)
  if count == 0 then return end
  redis.call('HINCRBY', batch, 'pending', -count)
  redis.call('HINCRBY', batch, outcome, count)
  if outcome == 'failed' then
    call_back(batch, 'catch', fields[1], todo)
    if allow == '0' and not cancelled then
      redis.call('HSET', batch, 'cancelled_at', string.format('%.0f', now_ms(desk.offset)), 'cause', 'failure')
    end
  end
  if told and (outcome == 'succeeded' or (outcome == 'failed' and allow == '1')) then
    for at = 1, #fields, 2 do
      call_back(batch, 'progress', fields[at], todo, redis.call('HINCRBY', batch, 'told', 1))
    end
  end
  todo[#todo + 1] = {batch}
end
