local function to_ready(ids, ready, front)
  return redis.call(front and 'LPUSH' or 'RPUSH', ready, unpack(ids))
end
