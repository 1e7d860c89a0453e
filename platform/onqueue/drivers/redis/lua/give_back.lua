-- Put jobs of one queue that never started back to its front, in their order; nothing is spent.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] ready       {onqueue:redis}:ready:default
-- KEYS[6] wake        {onqueue:redis}:wake:default
-- KEYS[7] ties        {onqueue:redis}:ties
-- KEYS[8] payloads    {onqueue:redis}:payloads
-- KEYS[9] fair        {onqueue:redis}:fair
-- ARGV[1] holder      token
-- ARGV[2] queue       its name
-- ARGV[3..] ids       in the order in which they were reserved
-- Returns -1 when the lease is lost, else the ids that went back
-- Flags allow-oom
-- Includes _alive _wake _front
if not alive(KEYS[1], ARGV[1]) then return -1 end
local there, given = {}, {}
for _, id in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do there[id] = true end
for at = 3, #ARGV do
  local id = ARGV[at]
  if there[id] then
    there[id] = nil
    given[#given + 1] = id
  end
end
if #given == 0 then return given end
redis.call('HDEL', KEYS[2], unpack(given))
for at = 3, 4 do
  -- What goes back are the last ones, as a rule, and can be cut off at once.
  local last = redis.call('LRANGE', KEYS[at], -#given, -1)
  if table.concat(last) == table.concat(given) then
    redis.call('LTRIM', KEYS[at], 0, -#given - 1)
  elseif string.sub(last[1] or '', 1, 1) ~= '>' then
    for _, id in ipairs(given) do redis.call('LREM', KEYS[at], 1, id) end
  end
end
to_front(given, KEYS[5], KEYS[7], KEYS[8], told_of(KEYS[9], ARGV[2]))
wake(KEYS[6], #given)
return given
