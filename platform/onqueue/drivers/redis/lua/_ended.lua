-- Includes _clock _wake _ready _postpone _desk
local function account_for(desk, todo)
  -- Here _settlement
  carry_out(desk, todo)
end

local function ended(ids, outcome, payloads, state, desk)
  local ties = desk and redis.call('HMGET', desk.ties, unpack(ids))
  redis.call('HDEL', payloads, unpack(ids))
  if redis.call('EXISTS', state) == 1 then redis.call('HDEL', state, unpack(ids)) end
  if not ties then return end
  redis.call('HDEL', desk.ties, unpack(ids))
  local todo = {}
  for at, id in ipairs(ids) do
    if ties[at] then todo[#todo + 1] = {cjson.decode(ties[at]), id, outcome} end
  end
  account_for(desk, todo)
end
