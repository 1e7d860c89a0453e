-- Count the jobs of a queue in each state, all at one instant: none is between two of them then.
-- KEYS[1] ready     {onqueue:redis}:ready:default
-- KEYS[2] ring      {onqueue:redis}:ring:default
-- KEYS[3] delayed   {onqueue:redis}:delayed:default
-- KEYS[4] lodging   {onqueue:redis}:lodging:default, those that are parked
-- KEYS[5] holders   {onqueue:redis}:holders
-- KEYS[6..] held    {onqueue:redis}:held:<holder> of each holder that is known
-- ARGV[1] queue     its name
-- ARGV[2..] known   holders
-- Returns {0, holder…} when these are others, else {1, ready, delayed, reserved, parked}
-- Flags allow-oom
-- Includes none
local holders, known = redis.call('ZRANGE', KEYS[5], 0, -1), {}
for at = 2, #ARGV do known[ARGV[at]] = KEYS[at + 4] end
for _, holder in ipairs(holders) do
  if not known[holder] then return {0, unpack(holders)} end
end
local ready, reserved = redis.call('LLEN', KEYS[1]), 0
for _, lane in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do ready = ready + redis.call('LLEN', lane) end
for _, holder in ipairs(holders) do
  for _, queue in ipairs(redis.call('HVALS', known[holder])) do
    if queue == ARGV[1] then reserved = reserved + 1 end
  end
end
return {1, ready, redis.call('ZCARD', KEYS[3]), reserved, redis.call('SCARD', KEYS[4])}
