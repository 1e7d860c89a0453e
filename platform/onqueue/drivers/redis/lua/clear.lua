-- Remove up to 200 waiting jobs of a queue: ready, then delayed, then parked; reserved ones stay.
-- KEYS[1] ready       {onqueue:redis}:ready:default
-- KEYS[2] delayed     {onqueue:redis}:delayed:default
-- KEYS[3] lodging     {onqueue:redis}:parked-in:default
-- KEYS[4] parked      {onqueue:redis}:parked
-- KEYS[5] payloads    {onqueue:redis}:payloads
-- KEYS[6] state       {onqueue:redis}:state
-- KEYS[7] parking     {onqueue:redis}:parking
-- KEYS[8] ties        {onqueue:redis}:ties
-- KEYS[9] ring        {onqueue:redis}:ring:default
-- KEYS[10] shares     {onqueue:redis}:shares:default
-- ARGV[1] desk        names and keys of what their ties may change
-- Returns how many were removed
-- Flags allow-oom
-- Includes _desk _lanes _ended
local ids = redis.call('LPOP', KEYS[1], 200) or {}
local lane = #ids == 0 and redis.call('LINDEX', KEYS[9], 0)
if lane then
  ids = redis.call('LPOP', lane, 200) or {}
  if redis.call('EXISTS', lane) == 0 then leave_ring(KEYS[9], KEYS[10], lane) end
end
if #ids == 0 then
  ids = redis.call('ZRANGE', KEYS[2], 0, 199)
  if #ids > 0 then redis.call('ZREM', KEYS[2], unpack(ids)) end
end
if #ids == 0 then
  ids = redis.call('SPOP', KEYS[3], 200)
  for _, id in ipairs(ids) do
    local lane = string.match(redis.call('HGET', KEYS[4], id) or '', '([^\n]*)$')
    redis.call('LREM', lane, 1, id)
    redis.call('HDEL', KEYS[4], id)
    if redis.call('EXISTS', lane) == 0 then redis.call('SREM', KEYS[7], lane) end
  end
end
if #ids == 0 then return 0 end
ended(ids, 'cancelled', KEYS[5], KEYS[6], desk_if(KEYS[8], ARGV[1]))
return #ids
