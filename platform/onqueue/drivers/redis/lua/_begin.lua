local function unpacked(parcel)
  local kind, id, _, key, stage = string.match(parcel, '^(%l+)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  return kind, id, key, stage
end

local function begin_chain(desk, key, stage, todo)
  if redis.call('EXISTS', stage) == 0 or redis.call('RENAMENX', stage, key) == 0 then return false end
  local plan = redis.call('HGET', key, 'plan')
  if plan then redis.call('RPUSH', plan, key) end
  redis.call('HSET', key, 'state', 'running')
  next_link(desk, key, todo)
  return true
end

local function begin_batch(desk, id, key, stage, todo)
  if redis.call('EXISTS', stage) == 0 or redis.call('RENAMENX', stage, key) == 0 then return false end
  local created, load, tie = unpack(redis.call('HMGET', key, 'created_at', 'load', 'tie'))
  redis.call('ZADD', desk.batches, created, id)
  if tie ~= '' then
    local own = cjson.decode(tie)
    todo[#todo + 1] = {own, {id}, 'entered'}
    local cancelled, cause = unpack(own.b and redis.call('HMGET', own.b, 'cancelled_at', 'cause') or {})
    if cancelled then redis.call('HSET', key, 'cancelled_at', cancelled, 'cause', cause) end
  end
  call_back(key, 'before', id, todo)
  todo[#todo + 1] = table.concat({'load', id, '', key, load}, '\n')
  return true
end
