-- Let go of locks whose owner is gone, and wake the first job of lanes that nobody would wake.
-- KEYS[1] holders     {onqueue:redis}:holders
-- KEYS[2] locks       {onqueue:redis}:locks
-- KEYS[3] parked      {onqueue:redis}:parked
-- KEYS[4] payloads    {onqueue:redis}:payloads
-- KEYS[5] parking     {onqueue:redis}:parking
-- ARGV[1] offset      ms added to the server's clock (tests)
-- ARGV[2] promise     ms for which a lock is kept for the woken job
-- ARGV[3] unknown     beginning of the lanes that only a replay ends
-- Returns how many locks changed hands or ended
-- Flags allow-oom
-- Includes _alive _clock _wake _ready _unpark _locks
local now, swept = now_ms(ARGV[1]), 0
local lanes = redis.call('SRANDMEMBER', KEYS[5], 100)
for _, lane in ipairs(redis.call('HRANDFIELD', KEYS[2], 100)) do lanes[#lanes + 1] = lane end
for _, lane in ipairs(lanes) do
  if string.sub(lane, 1, #ARGV[3]) ~= ARGV[3] then
    local owner = redis.call('HGET', KEYS[2], lane)
    if not owner or not in_force(owner, now, KEYS[1], KEYS[4]) then
      hand_over(lane, KEYS[2], KEYS[3], KEYS[4], KEYS[5], now + ARGV[2])
      swept = swept + 1
    end
  end
end
return swept
