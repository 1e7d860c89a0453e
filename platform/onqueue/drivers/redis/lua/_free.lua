local function free(desk, key, id, todo)
  local owner = claim_of(desk, key).owner
  if owner ~= '' and owner ~= id then return end
  redis.call('HDEL', desk.claims, key)
  local successor = redis.call('HGET', desk.successors, key)
  if successor then
    redis.call('HDEL', desk.successors, key)
    todo[#todo + 1] = successor
  end
end
