local function mend(desk, chain, id, todo)
  local state, current = unpack(redis.call('HMGET', chain, 'state', 'current'))
  if state ~= 'broken' or current ~= id then return end
  redis.call('PERSIST', chain)
  redis.call('HSET', chain, 'state', 'running')
  cut(desk, chain, -1, todo)
end

local function advance(desk, chain, id, outcome, todo)
  if outcome == 'succeeded' then mend(desk, chain, id, todo) end
  local state, current, on_skip = unpack(redis.call('HMGET', chain, 'state', 'current', 'skip'))
  if state ~= 'running' or current ~= id then return end
  local passes = outcome == 'skipped' or outcome == 'expired'
  if outcome == 'succeeded' or (passes and on_skip == 'continue') then
    redis.call('HINCRBY', chain, 'done', 1)
    next_link(desk, chain, todo)
  else
    redis.call('HSET', chain, 'state', 'broken')
    if redis.call('HEXISTS', chain, 'plan') == 0 then redis.call('EXPIRE', chain, 604800) end
    cut(desk, chain, 1, todo)
    call_back(chain, 'catch', id, todo)
  end
end
