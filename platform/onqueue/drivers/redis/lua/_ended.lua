local function ended(ids, outcome, payloads, state, desk)
  redis.call('HDEL', payloads, unpack(ids))
  if redis.call('EXISTS', state) == 1 then redis.call('HDEL', state, unpack(ids)) end
  if desk then redis.call('HDEL', desk.ties, unpack(ids)) end
end
