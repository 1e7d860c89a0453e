local function load_some(desk, parcel, key, stage, todo)
  local head, tail = unpack(redis.call('HMGET', stage, 'head', 'tail'))
  local fields = {}
  for number = tonumber(head) or 0, math.min(tonumber(tail) or 0, (head or 0) + 100) - 1 do fields[#fields + 1] = number end
  if #fields > 0 then
    for _, entry in ipairs(redis.call('HMGET', stage, unpack(fields))) do todo[#todo + 1] = entry end
    redis.call('HDEL', stage, unpack(fields))
    redis.call('HINCRBY', stage, 'head', #fields)
  end
  if head and head + #fields < tonumber(tail) then
    redis.call('RPUSH', desk.errands, parcel)
  else
    redis.call('DEL', stage)
    if redis.call('EXISTS', key) == 1 then redis.call('HINCRBY', key, 'loads', -1) end
    todo[#todo + 1] = {key}
  end
end
