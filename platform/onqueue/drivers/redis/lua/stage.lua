-- Write down which keys a plan is about to use, so that a plan nobody starts leaves none behind.
-- KEYS[1] plans       {onqueue:redis}:plans
-- KEYS[2] plan        {onqueue:redis}:plan:<token>
-- ARGV[1] offset      ms added to the server's clock (tests)
-- ARGV[2] patience    ms after which the keys are deleted unless the plan was started
-- ARGV[3..] names     of the keys
-- Returns how many keys the plan has by now
-- Flags none
-- Includes _clock
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms(ARGV[1]) + ARGV[2]), KEYS[2])
return redis.call('RPUSH', KEYS[2], unpack(ARGV, 3))
