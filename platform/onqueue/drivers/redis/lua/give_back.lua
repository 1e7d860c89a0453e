-- Put jobs of one queue that never started back to its front, in their order; nothing is spent.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] held        {onqueue:redis}:held:<holder>
-- KEYS[3] unstarted   {onqueue:redis}:unstarted:<holder>
-- KEYS[4] unfinished  {onqueue:redis}:unfinished:<holder>
-- KEYS[5] ready       {onqueue:redis}:ready:default
-- KEYS[6] wake        {onqueue:redis}:wake:default
-- ARGV[1] holder      token
-- ARGV[2..] ids       in the order in which they were reserved
-- Returns -1 when the lease is lost, else the ids that went back
-- Flags allow-oom
-- Includes _alive _wake _ready
if not alive(KEYS[1], ARGV[1]) then return -1 end
local given = {}
for at = #ARGV, 2, -1 do
  local id = ARGV[at]
  if redis.call('LREM', KEYS[3], 1, id) == 1 then
    redis.call('LREM', KEYS[4], 1, id)
    redis.call('HDEL', KEYS[2], id)
    to_ready({id}, KEYS[5], true)
    table.insert(given, 1, id)
  end
end
wake(KEYS[6], #given)
return given
