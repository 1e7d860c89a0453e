-- A job that lies in a lane, on which nothing else hangs, has no tie: the end of its payload tells the lane, as the core writes it.
-- Where the lanes of such a queue are, once it had one: what their keys begin with, its ring and its shares.
local function told_of(fair, queue)
  local text = redis.call('HGET', fair, queue)
  return text and {string.match(text, '^([^\n]*)\n([^\n]*)\n(.*)$')}
end

local function lane_told(told, body)
  local tail = body and string.sub(body, -300) or ''
  local key, weight = string.match(tail, ',"t":{"fair":"([^"\\%s%c%%\128-\255]+)"}}$'), nil
  if not key then key, weight = string.match(tail, ',"t":{"fair":"([^"\\%s%c%%\128-\255]+)","weight":(%d+)}}$') end
  return key and {told[1] .. key, told[2], told[3]}, tonumber(weight)
end
