local function amend(chain, before, first)
  local head, tail, batch = unpack(redis.call('HMGET', chain, 'head', 'tail', 'batch'))
  local count = #ARGV - first + 1
  head, tail = head - before, tonumber(tail)
  for at = 0, count - 1 do
    local number = at < before and head + at or tail + at - before
    redis.call('HSET', chain, number, ARGV[first + at])
  end
  redis.call('HSET', chain, 'head', head, 'tail', tail + count - before)
  redis.call('HINCRBY', chain, 'total', count)
  if batch and redis.call('EXISTS', batch) == 1 then
    redis.call('HINCRBY', batch, 'total', count)
    redis.call('HINCRBY', batch, 'pending', count)
  end
end

local function adopt(chain, plan)
  local own = redis.call('HGET', chain, 'plan')
  if not own then
    redis.call('HSET', chain, 'plan', plan)
    redis.call('RPUSH', plan, chain)
  else
    redis.call('RPUSH', own, unpack(redis.call('LRANGE', plan, 0, -1)))
    redis.call('DEL', plan)
  end
end
