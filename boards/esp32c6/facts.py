"""ESP32-C6, stock firmware. Fields: host_tools/boards/facts.py.

Espressif's development board has a WS2812 (GPIO 8) in place of a plain LED.
"""

CHIP = "ESP32-C6"
FIRMWARE = "ESP32_GENERIC_C6"
PLATFORM = "esp32"
MPY_ARCH = "rv32imc"
FLASH_FREE = None
FLASH_OFFSET = 0x0
LED_PIN = None
LED_LIT = None
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = 10
TICK_REMEDY = "busy turns"
