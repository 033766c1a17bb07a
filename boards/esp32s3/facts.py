"""ESP32-S3, stock firmware. Fields: host_tools/boards/facts.py.

Its development boards have a WS2812 (GPIO 48 or 38) in place of a plain LED.
"""

CHIP = "ESP32-S3"
FIRMWARE = "ESP32_GENERIC_S3"
PLATFORM = "esp32"
MPY_ARCH = "xtensawin"
FLASH_FREE = None
FLASH_OFFSET = 0x0
LED_PIN = None
LED_LIT = None
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = 10
TICK_REMEDY = "busy turns"
