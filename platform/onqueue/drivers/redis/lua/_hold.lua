-- The server searches a hash of up to some hundred short fields from end to end for each of them; a long field makes it a table.
local function hold(held, fields)
  if #fields < 64 then return redis.call('HSET', held, unpack(fields)) end
  local long = string.rep('-', 65)
  redis.call('HSET', held, long, '', unpack(fields))
  redis.call('HDEL', held, long)
end
