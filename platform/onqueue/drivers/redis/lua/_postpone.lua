local function postpone(delayed, token, id, due)
  local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  redis.call('ZADD', delayed, string.format('%.0f', due), id)
  if not first[2] or due < tonumber(first[2]) then
    wake(token, 1)
  end
end
