local function finish_batch(desk, batch, todo)
  local state = redis.call('HMGET', batch, 'pending', 'finished_at', 'cause', 'allow', 'tie', 'id', 'failed', 'broken', 'cancelled')
  local pending, over, cause, allow, tie, id, failed, broken, cancelled = unpack(state)
  if pending ~= '0' or over then return end
  redis.call('HSET', batch, 'finished_at', string.format('%.0f', now_ms(desk.offset)))
  local well = cause ~= 'user' and (allow == '1' or failed + broken + cancelled == 0)
  if well then call_back(batch, 'then', id, todo) end
  call_back(batch, 'finally', id, todo)
  if tie ~= '' then
    local outcome = well and 'succeeded' or (cause == 'user' and 'cancelled' or 'failed')
    todo[#todo + 1] = {cjson.decode(tie), {id}, outcome}
  end
end
