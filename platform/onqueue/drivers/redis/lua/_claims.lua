local function claim_of(desk, key)
  local record = redis.call('HGET', desk.claims, key)
  if not record then return {owner = ''} end
  local owner, expiry, first, delayed, token, held = string.match(record, '^' .. string.rep('([^\n]*)\n', 5) .. '(.*)$')
  return {owner = owner, expiry = expiry, first = first, delayed = delayed, wake = token, held = held}
end

local function write_claim(desk, key, claim)
  local lines = {claim.owner, claim.expiry, claim.first, claim.delayed, claim.wake, claim.held}
  redis.call('HSET', desk.claims, key, table.concat(lines, '\n'))
end
